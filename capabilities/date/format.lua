--[[ capability
{
  "name": "date.format",
  "intent": "format a date as readable text",
  "aliases": ["write a date in words", "show a date as day month year", "convert a date to another format"],
  "input": {
    "type": "object",
    "required": ["date"],
    "properties": {
      "date": {"type": "string", "format": "date", "description": "YYYY-MM-DD"},
      "style": {
        "enum": ["long", "short", "german", "american"],
        "description": "long when left out, as 9 March 2026; 9 Mar 2026; 09.03.2026; 03/09/2026"
      }
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string"}},
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"date": "2026-11-01"}, "output": {"text": "1 November 2026"}},
    {"input": {"date": "2026-03-09", "style": "short"}, "output": {"text": "9 Mar 2026"}},
    {"input": {"date": "2026-03-09", "style": "german"}, "output": {"text": "09.03.2026"}},
    {"input": {"date": "2026-03-09", "style": "american"}, "output": {"text": "03/09/2026"}}
  ]
}
]]
local names = {
  "January", "February", "March", "April", "May", "June",
  "July", "August", "September", "October", "November", "December",
}

local styles = {
  long = function(year, month, day) return string.format("%d %s %d", day, names[month], year) end,
  short = function(year, month, day) return string.format("%d %s %d", day, names[month]:sub(1, 3), year) end,
  german = function(year, month, day) return string.format("%02d.%02d.%04d", day, month, year) end,
  american = function(year, month, day) return string.format("%02d/%02d/%04d", month, day, year) end,
}

function run(input, context)
  local year, month, day = input.date:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)$")
  return { text = styles[input.style or "long"](tonumber(year), tonumber(month), tonumber(day)) }
end
