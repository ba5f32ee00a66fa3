"""The camera image in class colours, with a legend."""
