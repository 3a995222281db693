"""Servers, doubles and harnesses that the tests share."""
