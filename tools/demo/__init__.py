"""The demo: a bag through the real node over ROS topics, recorded, measured, shown on a page."""
