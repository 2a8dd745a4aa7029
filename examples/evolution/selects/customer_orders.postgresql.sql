-- The orders of each customer, newest first. Guests have no list.
SELECT c.customer_id,
       (SELECT jsonb_agg(
                   jsonb_build_object('order_id', o.order_id, 'placed_at', o.placed_at,
                                      'pieces', l.pieces, 'total_pence', l.total_pence,
                                      'shipped', o.shipped_at IS NOT NULL)
                   ORDER BY o.nth DESC)
          FROM orders AS o
         CROSS JOIN LATERAL (SELECT sum(l.quantity)::bigint AS pieces,
                                    sum(l.quantity * l.unit_price_pence)::bigint AS total_pence
                               FROM order_lines AS l WHERE l.order_id = o.order_id) AS l
         WHERE o.customer_id = c.customer_id) AS orders
  FROM (SELECT DISTINCT customer_id FROM orders WHERE customer_id <> 'guest') AS c
