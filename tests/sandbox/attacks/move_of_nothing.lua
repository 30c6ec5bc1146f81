-- technique: moves a range that is not there; must: limit
function run(input)
  table.move({}, 1, 1 << 53, 2)
end
