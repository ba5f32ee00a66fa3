"""Log records of the library in the log of the node."""

from __future__ import annotations

import logging

from rclpy.impl.rcutils_logger import RcutilsLogger

from tdnet_ros.rclpy_tools.log_throttle import one_line

LIBRARY = "tdnet"


class RosLogHandler(logging.Handler):
    """Passes records of the library to a node's logger, which also publishes them on /rosout.

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
        """Start to receive records of the library."""
        logging.getLogger(LIBRARY).addHandler(self)

    def detach(self) -> None:
        """Receive no more records."""
        logging.getLogger(LIBRARY).removeHandler(self)
