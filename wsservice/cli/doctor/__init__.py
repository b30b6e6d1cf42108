"""The doctor, `wsservice check`: step by step from DNS to a token's claims. Nobody imports this package's names."""
