-- input: {"lines": [{"price": 1250, "count": 3}, {"price": 99, "count": 10}], "tax": 19}
-- output: {"net": 4740, "tax": 901, "gross": 5641}
function run(input)
  local net = 0
  for _, line in ipairs(input.lines) do net = net + line.price * line.count end
  local tax = (net * input.tax + 50) // 100
  return {net = net, tax = tax, gross = net + tax}
end
