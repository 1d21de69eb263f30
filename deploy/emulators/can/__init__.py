"""Emulated CAN motors: their firmware (`motors`), their wire (`port`), and a leg of them."""
