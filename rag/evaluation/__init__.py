"""Evaluation: questions with gold in, measures with their uncertainty out; nothing here asks a model to judge.

datasets.py    question sets in the forms that research publishes: our own, BEIR, TREC, SQuAD
evaluate.py    every question searched, asked and held against its gold
measures.py    what is measured, of rankings (by ir_measures), answers, refusals and confidence
statistics.py  bootstrap intervals, randomisation tests, Holm's correction
runs.py        rankings as TREC run files
compare.py     two runs or two sets of scored answers, paired
sweep.py       a grid of settings, and whether the best of them is better
charts.py      an evaluation's charts as SVG
report.py      the charts and every question as one page of HTML
"""
