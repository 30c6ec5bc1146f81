-- input: [1994, 2026]
-- output: ["MCMXCIV", "MMXXVI"]
function run(input)
  local out = {}
  for i, n in ipairs(input) do
    local text = ''
    for _, pair in ipairs{{1000, 'M'}, {900, 'CM'}, {500, 'D'}, {400, 'CD'}, {100, 'C'}, {90, 'XC'}, {50, 'L'}, {40, 'XL'}, {10, 'X'}, {9, 'IX'}, {5, 'V'}, {4, 'IV'}, {1, 'I'}} do
      text = text .. pair[2]:rep(n // pair[1])
      n = n % pair[1]
    end
    out[i] = text
  end
  return out
end
