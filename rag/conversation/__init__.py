"""A conversation: what a question means after those before it, also where several are typed as one.

turns.py       what was asked and answered, and what a question that leans on it becomes
naming.py      the names in a text, and whose they probably are
antecedents.py what "he", "they", "it", "there", "then" and "that ban" stand for
ellipsis.py    questions that are cut short or correct the one before
unspaced.py    follow-ups in Chinese and Japanese
followups.py   a question made whole, by these rules
in_turn.py     several questions typed as one, asked one after another
rewriting.py   the same by a model, whose question is taken only where it is borne out
"""
