"""What every room stands on: types, errors, files, logs, names. It imports no other room."""
