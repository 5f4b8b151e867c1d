/* GET /v1/conversions/{id} */

#include "services/gateway/gateway.h"

void gateway_get(struct http_request *request)
{
    struct conversion record;
    if (gateway_find_in_path(request, &record))
        gateway_answer_conversion(request, 200, &record);
}
