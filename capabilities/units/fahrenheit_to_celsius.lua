--[[ capability
{
  "name": "units.fahrenheit_to_celsius",
  "intent": "convert fahrenheit to celsius",
  "aliases": ["temperature from degrees fahrenheit to degrees celsius", "fahrenheit in celsius"],
  "input": {
    "type": "object",
    "required": ["fahrenheit"],
    "properties": {
      "fahrenheit": {"type": "number", "maximum": 1e+300, "description": "degrees; nothing is colder than -459.67"}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["celsius"],
    "properties": {"celsius": {"type": "number"}},
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"fahrenheit": 212}, "output": {"celsius": 100.0}},
    {"input": {"fahrenheit": -40}, "output": {"celsius": -40.0}},
    {"input": {"fahrenheit": 32}, "output": {"celsius": 0.0}},
    {"input": {"fahrenheit": -500}, "error": "below_absolute_zero"}
  ]
}
]]
function run(input, context)
  if input.fahrenheit < -459.67 then fail("below_absolute_zero", "nothing is colder than -459.67 Fahrenheit") end
  return { celsius = (input.fahrenheit - 32) * 5.0 / 9 }
end
