"""Statements that change rows or definitions: INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, permissions, settings."""
