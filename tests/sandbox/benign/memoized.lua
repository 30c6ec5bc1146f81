-- input: {"n": 60}
-- output: {"value": 1548008755920, "calls": 61}
function run(input)
  local known, calls = {}, 0
  local function fib(n)
    if known[n] then return known[n] end
    calls = calls + 1
    known[n] = n < 2 and n or fib(n - 1) + fib(n - 2)
    return known[n]
  end
  return {value = fib(input.n), calls = calls}
end
