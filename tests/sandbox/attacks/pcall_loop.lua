-- technique: loops inside of pcall inside of a loop; must: limit
function run(input)
  while true do pcall(function() while true do end end) end
end
