-- technique: matches what it has captured, at each place; must: limit
function run(input)
  while true do (('a'):rep(50000)):find('(.*)%1b') end
end
