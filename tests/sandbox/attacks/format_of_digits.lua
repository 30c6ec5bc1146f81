-- technique: formats with all the digits there are; must: limit
function run(input)
  while true do ('%99.99f'):format(-1e308) end
end
