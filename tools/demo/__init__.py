"""The demo: a bag through the real node over ROS topics, recorded, measured, shown on a page."""


def say(text: str) -> None:
    """Print a line."""
    print(f"demo: {text}", flush=True)
