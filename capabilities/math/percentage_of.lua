--[[ capability
{
  "name": "math.percentage_of",
  "intent": "what percentage one number is of another",
  "aliases": ["share of a part in the whole as percent", "x is how many percent of y"],
  "input": {
    "type": "object",
    "required": ["part", "whole"],
    "properties": {"part": {"type": "number"}, "whole": {"type": "number"}},
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["percent"],
    "properties": {"percent": {"type": "number"}},
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"part": 25, "whole": 200}, "output": {"percent": 12.5}},
    {"input": {"part": 3, "whole": 2}, "output": {"percent": 150.0}},
    {"input": {"part": 1, "whole": 0}, "error": "zero_whole"},
    {"input": {"part": 1e+300, "whole": 1e-300}, "error": "out_of_range"}
  ]
}
]]
local function finite(value)
  if value ~= value or value == math.huge or value == -math.huge then
    fail("out_of_range", "the result is too large to be a number")
  end
  return value
end

function run(input, context)
  if input.whole == 0 then fail("zero_whole", "whole must not be zero") end
  return { percent = finite(input.part * 1.0 / input.whole * 100) }
end
