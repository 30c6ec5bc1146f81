-- input: {"n": 44}
-- output: {"ones": 3, "reversed": "001101", "hex": "2c", "low": 4}
function run(input)
  local n, ones, reversed = input.n, 0, ''
  while n > 0 do
    ones, reversed, n = ones + (n & 1), reversed .. (n & 1), n >> 1
  end
  return {ones = ones, reversed = reversed, hex = ('%x'):format(input.n), low = input.n & -input.n}
end
