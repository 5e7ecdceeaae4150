"""Telling others of a move: signed webhooks, and a manifest for KServe."""
