-- deterministic: the first key by next, again and again
function run(input)
  local t, out = {b = 1, a = 2, c = 3}, {}
  while next(t) do out[#out + 1] = next(t) t[next(t)] = nil end
  return out
end
