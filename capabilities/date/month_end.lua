--[[ capability
{
  "name": "date.month_end",
  "intent": "last day of the month of a date",
  "aliases": ["end of month for a date", "how does the month of a date end"],
  "input": {
    "type": "object",
    "required": ["date"],
    "properties": {"date": {"type": "string", "format": "date", "description": "YYYY-MM-DD"}},
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["date"],
    "properties": {"date": {"type": "string", "format": "date", "description": "YYYY-MM-DD"}},
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"date": "2024-02-10"}, "output": {"date": "2024-02-29"}},
    {"input": {"date": "2100-02-01"}, "output": {"date": "2100-02-28"}},
    {"input": {"date": "2026-12-31"}, "output": {"date": "2026-12-31"}}
  ]
}
]]
function run(input, context)
  local year, month = input.date:match("^(%d%d%d%d)%-(%d%d)")
  local number = tonumber(year)
  local leap = number % 4 == 0 and (number % 100 ~= 0 or number % 400 == 0)
  local lengths = { 31, leap and 29 or 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }
  return { date = year .. "-" .. month .. "-" .. lengths[tonumber(month)] }
end
