-- technique: puts a method of its own on all texts; must: error
function run(input)
  getmetatable("").__index = {upper = function() return input.marker end}
  return ("x"):upper()
end
