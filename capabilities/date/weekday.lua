--[[ capability
{
  "name": "date.weekday",
  "intent": "day of the week of a date",
  "aliases": ["which weekday is a date", "what day of the week was it"],
  "input": {
    "type": "object",
    "required": ["date"],
    "properties": {"date": {"type": "string", "format": "date", "description": "YYYY-MM-DD"}},
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["weekday", "number"],
    "properties": {
      "weekday": {"enum": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]},
      "number": {
        "type": "integer",
        "minimum": 1,
        "maximum": 7,
        "description": "1 for Monday to 7 for Sunday, as in ISO 8601"
      }
    },
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"date": "2026-11-21"}, "output": {"weekday": "Saturday", "number": 6}},
    {"input": {"date": "1969-12-29"}, "output": {"weekday": "Monday", "number": 1}},
    {"input": {"date": "2000-02-29"}, "output": {"weekday": "Tuesday", "number": 2}}
  ]
}
]]
-- Days since 1970-01-01 in the Gregorian calendar, after Howard Hinnant, "chrono-compatible low-level date algorithms".
local function day_number(date)
  local year, month, day = date:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)$")
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  if month <= 2 then year = year - 1 end
  local era = year // 400
  local year_of_era = year - era * 400
  local day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
  return era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719468
end

local names = { "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday" }

function run(input, context)
  -- 1970-01-01 was a Thursday, the fourth day.
  local number = (day_number(input.date) + 3) % 7 + 1
  return { weekday = names[number], number = number }
end
