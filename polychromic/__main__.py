from polychromic.cli.app import main

main()
