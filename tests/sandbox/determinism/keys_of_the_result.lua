-- deterministic: an object of many keys as the result
function run(input)
  local t = {}
  for i = 40, 1, -1 do t[('x'):rep(i % 7) .. i] = i / 7 end
  return t
end
