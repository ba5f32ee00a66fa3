"""What rclpy lacks."""
