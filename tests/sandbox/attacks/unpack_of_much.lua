-- technique: unpacks as much as the stack takes; must: limit
function run(input)
  while true do select('#', table.unpack({}, 1, 190000)) end
end
