"""This machine as the cluster: folds run in worker processes that import TensorFlow once."""
