"""The paper's argument on the synthetic street: which part of TDNet brings how much."""
