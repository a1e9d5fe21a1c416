class Pony:
    def __init__(self):
        self.pony = 12


def setup():
    return Pony
