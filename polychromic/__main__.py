from polychromic.cli import main

main()
