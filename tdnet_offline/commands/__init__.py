"""One file for each command of `tdnet`: `add_parser(subparsers)` and `run(args)`."""
