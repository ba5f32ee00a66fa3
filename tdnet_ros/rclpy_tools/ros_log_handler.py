"""What the library says through Python's logging, in the log of the node."""

from __future__ import annotations

import logging

from rclpy.impl.rcutils_logger import RcutilsLogger

from tdnet_ros.rclpy_tools.log_throttle import one_line

LIBRARY = "tdnet"


class RosLogHandler(logging.Handler):
    """Hands records of the library to a node's logger, from where /rosout has them.

    Args:
        logger: of the node.
    """

    def __init__(self, logger: RcutilsLogger) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record."""
        text = one_line(record.getMessage())
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        else:
            self._logger.warning(text)

    def attach(self) -> None:
        """Begin to listen to the library."""
        logging.getLogger(LIBRARY).addHandler(self)

    def detach(self) -> None:
        """End it."""
        logging.getLogger(LIBRARY).removeHandler(self)
