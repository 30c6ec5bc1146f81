-- input: {"a": [[1, 2], [3, 4]], "b": [[5, 6], [7, 8]]}
-- output: [[19, 22], [43, 50]]
function run(input)
  local out = {}
  for i, row in ipairs(input.a) do
    out[i] = {}
    for j = 1, #input.b[1] do
      local sum = 0
      for k = 1, #row do sum = sum + row[k] * input.b[k][j] end
      out[i][j] = sum
    end
  end
  return out
end
