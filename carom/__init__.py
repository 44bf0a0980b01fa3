"""The composition root: settings, command line, roles and web application.  Nobody imports it."""

__version__ = "0.1.0"
