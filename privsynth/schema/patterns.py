"""How whole numbers, numbers, dates and date-times are written as text."""

INTEGER_TEXT = r"^\s*[+-]?[0-9]{1,18}(\.0+)?\s*$"
"""A whole number, also where a spreadsheet wrote 12.0."""

NUMBER_TEXT = r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"
"""A number with a decimal point."""

DATE_TEXT = r"^\s*[0-9]{4}-[0-9]{2}-[0-9]{2}\s*$"
"""A day as YYYY-MM-DD."""

DATETIME_TEXT = (
    r"^\s*[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?)?\s*$"
)
"""A moment in ISO 8601 without time zone, or a day."""
