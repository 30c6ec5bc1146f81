-- technique: looks for a balance that is never closed; must: limit
function run(input)
  while true do (('('):rep(500000)):find('%b()') end
end
