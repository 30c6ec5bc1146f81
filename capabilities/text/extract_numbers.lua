--[[ capability
{
  "name": "text.extract_numbers",
  "intent": "find all numbers in a text",
  "description": "Decimal numbers with a point; a number too large to hold is left out.",
  "aliases": ["extract the numbers from a text", "list the numbers that a message contains"],
  "input": {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string"}},
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["numbers"],
    "properties": {"numbers": {"type": "array", "items": {"type": "number"}}},
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"text": "3 apples at 1.25 and -2 returned"}, "output": {"numbers": [3, 1.25, -2]}},
    {"input": {"text": "room A-12, 5%"}, "output": {"numbers": [12, 5]}},
    {"input": {"text": "none"}, "output": {"numbers": []}}
  ]
}
]]
function run(input, context)
  local numbers = {}
  local text, position = input.text, 1
  while true do
    local first, last = text:find("%d+%.?%d*", position)
    if not first then break end
    if text:sub(last, last) == "." then last = last - 1 end
    local value = tonumber(text:sub(first, last))
    -- A minus counts as a sign only where no word stands right before it, so that A-12 has the number 12.
    local before = text:sub(math.max(first - 2, 1), first - 1)
    if before == "-" or before:find("^[%s%(]%-$") then value = -value end
    if value == value and value ~= math.huge and value ~= -math.huge then numbers[#numbers + 1] = value end
    position = last + 1
  end
  return { numbers = numbers }
end
