--[[ capability
{
  "name": "stats.summary",
  "intent": "summary statistics of a list of numbers",
  "aliases": [
    "count, sum, minimum, maximum, average and median of some numbers",
    "describe a list of numbers",
    "standard deviation and other key figures"
  ],
  "input": {
    "type": "object",
    "required": ["numbers"],
    "properties": {"numbers": {"type": "array", "items": {"type": "number"}}},
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["count", "sum", "minimum", "maximum", "average", "median", "standard_deviation"],
    "properties": {
      "count": {"type": "integer", "minimum": 1},
      "sum": {"type": "number"},
      "minimum": {"type": "number"},
      "maximum": {"type": "number"},
      "average": {"type": "number"},
      "median": {"type": "number"},
      "standard_deviation": {
        "type": "number",
        "minimum": 0,
        "description": "of a sample (n - 1); 0 for a single number"
      }
    },
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {
      "input": {"numbers": [2, 4, 4, 6]},
      "output": {
        "count": 4,
        "sum": 16.0,
        "minimum": 2,
        "maximum": 6,
        "average": 4.0,
        "median": 4.0,
        "standard_deviation": 1.632993161855452
      }
    },
    {
      "input": {"numbers": [7]},
      "output": {
        "count": 1,
        "sum": 7.0,
        "minimum": 7,
        "maximum": 7,
        "average": 7.0,
        "median": 7.0,
        "standard_deviation": 0.0
      }
    },
    {"input": {"numbers": []}, "error": "no_numbers"}
  ]
}
]]
local function sorted_copy(numbers)
  local sorted = {}
  for index, number in ipairs(numbers) do sorted[index] = number * 1.0 end
  table.sort(sorted)
  return sorted
end

local function sum_of(numbers)
  local sum = 0.0
  for _, number in ipairs(numbers) do sum = sum + number end
  if sum ~= sum or sum == math.huge or sum == -math.huge then
    fail("out_of_range", "the sum is too large to be a number")
  end
  return sum
end

local function at_fraction(sorted, fraction)
  local position = (#sorted - 1) * fraction + 1
  local below = math.floor(position)
  if below == #sorted then return sorted[below] end
  local rest = position - below
  -- Weighted, not by difference: the difference of two far numbers may not be a number.
  return sorted[below] * (1 - rest) + sorted[below + 1] * rest
end

function run(input, context)
  if #input.numbers == 0 then fail("no_numbers", "there are no numbers") end
  local sorted = sorted_copy(input.numbers)
  local count, sum = #sorted, sum_of(sorted)
  local average = sum / count
  local squares = {}
  for index, number in ipairs(sorted) do squares[index] = (number - average) ^ 2 end
  return {
    count = count,
    sum = sum,
    minimum = sorted[1],
    maximum = sorted[count],
    average = average,
    median = at_fraction(sorted, 0.5),
    standard_deviation = count == 1 and 0.0 or math.sqrt(sum_of(squares) / (count - 1)),
  }
end
