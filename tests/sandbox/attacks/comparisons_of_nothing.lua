-- technique: compares and counts as fast as it can; must: limit
function run(input)
  local n = 0
  while true do n = n + (rawequal(n, n) and rawlen({}) or 1) select('#', n, n) end
end
