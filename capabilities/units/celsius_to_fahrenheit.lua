--[[ capability
{
  "name": "units.celsius_to_fahrenheit",
  "intent": "convert celsius to fahrenheit",
  "aliases": ["temperature from degrees celsius to degrees fahrenheit", "celsius in fahrenheit"],
  "input": {
    "type": "object",
    "required": ["celsius"],
    "properties": {
      "celsius": {"type": "number", "maximum": 1e+300, "description": "degrees; nothing is colder than -273.15"}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["fahrenheit"],
    "properties": {"fahrenheit": {"type": "number"}},
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"celsius": 100}, "output": {"fahrenheit": 212.0}},
    {"input": {"celsius": -40}, "output": {"fahrenheit": -40.0}},
    {"input": {"celsius": 37.5}, "output": {"fahrenheit": 99.5}},
    {"input": {"celsius": -300}, "error": "below_absolute_zero"}
  ]
}
]]
function run(input, context)
  if input.celsius < -273.15 then fail("below_absolute_zero", "nothing is colder than -273.15 Celsius") end
  return { fahrenheit = input.celsius * 9.0 / 5 + 32 }
end
