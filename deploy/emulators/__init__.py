"""Robots that are not there: processes with physics behind the wire that a driver speaks on."""
