"""The settings that hold for every task, what a model keeps of them, and how a setting is declared."""
