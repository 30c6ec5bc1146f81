-- deterministic: floats as text by each way
function run(input)
  local out = {}
  for i, x in ipairs{0.1, 1 / 3, 1e15, 1e16, 2^53, 2^63, -0.0, 5e-324, 1.7976931348623157e308, 100.0} do
    out[i] = {x, tostring(x), x .. '', ('%.14g|%.3f|%5.1f|%g|%a'):format(x, x, x, x, x)}
  end
  return out
end
