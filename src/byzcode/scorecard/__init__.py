"""The scorecard: what became of each claim, as a page that needs nothing else, and how figures enter the report.

``table`` says what a tested cell of a claim is and reads it; ``axis`` places intervals and ``words`` says numbers;
``page`` puts them into the template beside it; ``report`` says under which paper and claims a figure is filed.
"""
