"""The commands: a file's name is a command's word."""
