setup = 9
