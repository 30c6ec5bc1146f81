-- input: {"most": 30}
-- output: [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]
local function primes(most)
  return coroutine.wrap(function()
    for n = 2, most do
      for d = 2, math.floor(n ^ 0.5) do if n % d == 0 then goto continue end end
      coroutine.yield(n)
      ::continue::
    end
  end)
end
function run(input)
  local out = {}
  for n in primes(input.most) do out[#out + 1] = n end
  return out
end
