//! Rule tables: how many of each attribute, which type, which code. ITI TF-3 4.2.3.
